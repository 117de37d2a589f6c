//! OCI images: references, digests, manifests, layouts, registries, verifying readers.
