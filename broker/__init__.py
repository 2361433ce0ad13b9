"""The log that the other rooms share: one interface, two implementations."""
