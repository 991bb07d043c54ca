"""Runs the command: `python -m bss_gan` is `bss-gan`."""
from bss_gan.cli import main

if __name__ == "__main__": main(prog_name="bss-gan")
