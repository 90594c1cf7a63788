//! What an operator can do about a finding.

pub(super) const LOOK: &str = "it may be in use: check it; if it is not, delete it in the provider's console";
pub(super) const FIX: &str = "check it; `inventiv audit --fix --policy delete` deletes it after an hour of quarantine";
pub(super) const WAIT_OR_ASK: &str = "nothing, if the next audit no longer finds it; otherwise run `inventiv audit --fix`: its instance observes it again";
pub(super) const EXPLAIN: &str = "run `inventiv explain` for the instance: it shows what is being done";
pub(super) const LOOK_INTO: &str =
    "check it: delete it in the provider's console (the control plane never does), or rename it if it is not ours";
pub(super) const OURS_OR_NOT: &str = "check it: if it is ours, delete it in the provider's console (the control plane never does); if it is not, \
     give it the tag `inventiv-foreign`";
pub(super) const DECIDE: &str = "nothing is changed or deleted until you run `inventiv recover --apply` to record the cloud's policy, \
     or `inventiv volume retain` or `release` to set it";
pub(super) const RELEASE: &str =
    "if nobody needs it, run `inventiv volume release`: its absence is then proven and recorded";
pub(super) const ROLLED_BACK: &str = "do not delete it: it may be in use. `inventiv recover --from-provider CONTROL_PLANE \
     --apply` records it; then it can be terminated";
