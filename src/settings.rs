//! Placeholder until the settings land.
