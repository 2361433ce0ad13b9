"""One module or folder per vendor, all behind `scheduler.sources.interface`."""
