"""Settings: every knob, documented once, and errors that say where the mistake is."""

from ringback.config.folders import default_data_dir
from ringback.config.settings import Settings, SettingsError, load_settings, setting_names

__all__ = ["Settings", "SettingsError", "default_data_dir", "load_settings", "setting_names"]
