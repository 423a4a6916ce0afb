"""The `seawall` command: one file per sub-command, nothing heavy imported before a command runs."""
