//! The list of all attacks: what is done to images, then to metadata, then on the wire.

use super::Attack;

/// Every attack, in the order in which a demonstration tells them.
#[must_use]
pub fn catalogue() -> &'static [Attack] {
    CATALOGUE
}

const CATALOGUE: &[Attack] = &[
    super::layer_flipped::ATTACK,
    super::config_flipped::ATTACK,
    super::child_flipped::ATTACK,
    super::index_flipped::ATTACK,
    super::layer_longer::ATTACK,
    super::layer_shorter::ATTACK,
    super::layer_missing::ATTACK,
    super::config_missing::ATTACK,
    super::child_missing::ATTACK,
    super::child_swapped::ATTACK,
    super::tag_moved::ATTACK,
    super::tag_moved_back::ATTACK,
    super::tag_moved_back_by_replay::ATTACK,
    super::timestamp_replayed::ATTACK,
    super::snapshot_replayed::ATTACK,
    super::targets_replayed::ATTACK,
    super::root_replayed::ATTACK,
    super::root_gap::ATTACK,
    super::snapshot_rolled_back::ATTACK,
    super::targets_rolled_back::ATTACK,
    super::mixed_moments::ATTACK,
    super::timestamp_frozen::ATTACK,
    super::snapshot_expired::ATTACK,
    super::targets_expired::ATTACK,
    super::root_expired::ATTACK,
    super::wrong_key_root::ATTACK,
    super::wrong_key_timestamp::ATTACK,
    super::wrong_key_snapshot::ATTACK,
    super::wrong_key_targets::ATTACK,
    super::wrong_key_delegation::ATTACK,
    super::delegation_rekeyed::ATTACK,
    super::outside_delegation::ATTACK,
    super::root_below_threshold::ATTACK,
    super::targets_below_threshold::ATTACK,
    super::one_key_twice::ATTACK,
    super::one_key_under_two_ids::ATTACK,
    super::too_deep::ATTACK,
    super::duplicate_keys::ATTACK,
    super::not_utf8::ATTACK,
    super::root_endless::ATTACK,
    super::timestamp_endless::ATTACK,
    super::snapshot_endless::ATTACK,
    super::targets_endless::ATTACK,
    super::timestamp_dripped::ATTACK,
    super::layer_dripped::ATTACK,
    super::index_endless::ATTACK,
    super::layer_endless::ATTACK,
    super::lying_digest_header::ATTACK,
    super::redirect_with_credentials::ATTACK,
    super::repository_unreachable::ATTACK,
    super::registry_unavailable::ATTACK,
];
