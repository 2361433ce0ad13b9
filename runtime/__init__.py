"""Ground floor: configuration, logging, metric catalogue, process life cycle, clock. Imports no other room."""
