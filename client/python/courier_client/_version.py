"""The version of this package, as it tells the gateway."""

__version__ = "0.1.0"
