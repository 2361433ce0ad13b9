"""`sluice exports`: a module for each command, and for what they hold."""
