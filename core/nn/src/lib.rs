//! Weights and layers of Sotto's networks.
