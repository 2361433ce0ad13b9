"""The `sluice` command: one small module per subcommand. The top floor: nothing imports it."""
