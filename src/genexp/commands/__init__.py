"""The commands, one module each, with a `main(arguments) -> exit code`."""
