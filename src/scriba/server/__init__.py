"""The composition root: settings, the application, limits and errors."""
