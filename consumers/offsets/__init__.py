"""What of a partition is finished, and how that outlives the process."""
