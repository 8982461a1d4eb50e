"""What every job stands on, without any music."""
