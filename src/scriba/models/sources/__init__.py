"""Where weights come from. Each source is one module; the store knows only ``sources.port``."""
