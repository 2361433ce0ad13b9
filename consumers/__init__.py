"""The far side of the topics: the forwarder, dead letters, the balance."""
