"""`sluice storefronts`: a module for each command, and for what they share."""
