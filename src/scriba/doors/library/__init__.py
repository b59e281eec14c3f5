"""The library interface: upload, schedule, history, results, video."""
