//! From a captured frame to the network packet inside: link-layer headers.
