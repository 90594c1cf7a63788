//! What an operator can do about a finding.

pub(super) const LOOK: &str = "it may be in use: look at it; if it is not, delete it in the provider's console";
pub(super) const FIX: &str =
    "look at it; `inventiv audit --fix --policy delete` has it deleted after an hour of quarantine";
pub(super) const WAIT_OR_ASK: &str =
    "nothing, if it is gone from the next audit; else `inventiv audit --fix` has its instance look at it";
pub(super) const EXPLAIN: &str = "look at the instance: `inventiv explain` says what is done about it";
pub(super) const LOOK_INTO: &str =
    "look into it: delete it in the provider's console (we never do), or rename it if it is not ours";
pub(super) const DECIDE: &str = "nothing is changed or deleted until `inventiv recover --apply` takes the cloud's word, or `inventiv volume \
     retain` or `release` decides";
pub(super) const RELEASE: &str =
    "if nobody needs it, `inventiv volume release`: then its absence is proven and written down";
pub(super) const ROLLED_BACK: &str =
    "do not delete it: it may be in use. `inventiv recover --from-provider` writes it down; then it can be terminated";
