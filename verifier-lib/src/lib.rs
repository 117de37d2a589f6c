//! Container image provenance: reference to target to digest to verdict.
