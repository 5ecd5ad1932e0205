"""The commands: functions whose arguments are options; they call and print, and compute nothing."""
