"""`sluice dead-letters`: a module for each command, and for what they share."""
