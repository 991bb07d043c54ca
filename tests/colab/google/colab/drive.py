"""Stands in for Colab's Drive: mounting makes an empty `MyDrive`."""
from pathlib import Path


def mount(mountpoint, force_remount=False):
    Path(mountpoint, "MyDrive").mkdir(parents=True, exist_ok=True)
    print("Mounted at", mountpoint)
