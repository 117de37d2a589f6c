//! Drives tuf-core: transports, the trusted store, offline mode.
