//! The promises of the storage trait, by name.

use std::fmt;
use std::sync::Arc;

use crate::store::TokenStore;

use super::checks::{commit, feed, list, races, read, trail, usage};

/// A promise that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which promise.
    pub promise: Promise,
    /// What was seen instead.
    pub seen: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({}): {}", self.promise, self.promise.says(), self.seen)
    }
}

macro_rules! promises {
    ($($name:ident, $says:literal, $check:path;)+) => {
        /// One promise of the storage trait.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Promise {
            $(#[doc = concat!($says, ".")] $name,)+
        }

        impl Promise {
            /// Every promise.
            pub const ALL: [Promise; [$(Promise::$name),+].len()] = [$(Promise::$name),+];

            /// Whether it is about what happens at once, and holds by itself in a store that is asked one thing after another.
            #[must_use]
            pub fn is_race(self) -> bool {
                matches!(
                    self,
                    Promise::RotateRacesRotate
                        | Promise::RotateRacesRevoke
                        | Promise::CreateRacesCap
                        | Promise::CreateRacesSuspend
                        | Promise::EditRacesVerify
                        | Promise::EventRacesChange
                        | Promise::RepeatRacesRepeat
                )
            }

            /// The promise as a sentence.
            #[must_use]
            pub fn says(self) -> &'static str {
                match self { $(Promise::$name => $says,)+ }
            }

            /// Checks it on a fresh store.
            ///
            /// # Errors
            /// [`Broken`] with what was seen.
            pub async fn check(self, store: Arc<dyn TokenStore>) -> Result<(), Broken> {
                let checked = match self { $(Promise::$name => $check(store).await,)+ };
                checked.map_err(|seen| Broken { promise: self, seen: seen.to_string() })
            }
        }
    };
}

promises! {
    RowsComeBackAsWritten, "every field of token, secret and owner comes back as it was written", read::rows_come_back_as_written;
    ManyLoadAtOnce, "load answers every selector that exists, and leaves out the others", read::many_load_at_once;
    SelectorsAreExact, "selectors are compared byte for byte", read::selectors_are_exact;
    OwnersAreExact, "owners are compared byte for byte", read::owners_are_exact;
    UnknownIsNothing, "what does not exist is an empty answer, not an error", read::unknown_is_nothing;
    KeysAreAllNamed, "keys names the keys of seals and of secrets that may be live, and no others", read::keys_are_all_named;
    EventsComeInOrder, "events come in order, in pages", read::events_come_in_order;
    FactsAreWrittenOnce, "meta_or_insert keeps the value that was first", read::facts_are_written_once;

    EventAndChangeCommitTogether, "a change, its event and its id are stored together", commit::event_and_change_commit_together;
    ConflictWritesNothing, "a conflict leaves nothing behind", commit::conflict_writes_nothing;
    TokenRevisionGuards, "a token is updated only from the revision before", commit::token_revision_guards;
    OwnerGuards, "a token is created only while its owner stands as it was read", commit::owner_guards;
    OwnerRevisionGuards, "an owner is written only over the revision that was read", commit::owner_revision_guards;
    MetaGuards, "a fact is replaced only while it is what was read", commit::meta_guards;
    EventNumbersAreUnique, "an event whose number is taken is a conflict", commit::event_numbers_are_unique;
    SelectorsAreUnique, "a selector that exists is a conflict", commit::selectors_are_unique;
    CapHolds, "no owner gets more live tokens than its cap", commit::cap_holds;
    CapHoldsForLongerLives, "a token lives longer only within the cap, which counts what was created since", commit::cap_holds_for_longer_lives;
    CapCountsLiveOnly, "revoked and expired tokens do not count towards the cap", commit::cap_counts_live_only;
    RepeatIsTold, "a change id that is stored is a repeat, whatever else holds", commit::repeat_is_told;
    NothingIsNoted, "a change of nothing is noted under its id with the last event of its subject, while that stands as it was read", commit::nothing_is_noted;
    OutcomeIsKnown, "the outcome of a change can be asked for", commit::outcome_is_known;

    ListKeepsToOwner, "a list of an owner's tokens holds no other's", list::list_keeps_to_owner;
    ListKeepsToState, "a list keeps to the states asked for", list::list_keeps_to_state;
    ListTextIsLiteral, "text is searched byte for byte, wildcards included", list::list_text_is_literal;
    ListIsOrdered, "a list is in the order asked for", list::list_is_ordered;
    ListPagesAreComplete, "pages hold every token once", list::list_pages_are_complete;

    UsageAddsUp, "tallies add up", usage::usage_adds_up;
    LastUseMovesForward, "a last use never moves back", usage::last_use_moves_forward;
    UsageOfPurgedIsIgnored, "tallies of purged tokens are left out without an error", usage::usage_of_purged_is_ignored;
    RedigestIsGuarded, "a digest is replaced only while it is under the key it was read with", usage::redigest_is_guarded;

    SourcesSpread, "a source's first request moves back, its last forward, and its counts add up", trail::sources_spread;
    ScopesMoveForward, "a scope's last exercise never moves back", trail::scopes_move_forward;
    CallsGoRound, "of the calls of one slot the latest is kept, and calls are told to their owner, the latest first", trail::calls_go_round;
    SignalsAreOneRow, "signals of one subject are one row, whose count adds up or stays the largest", trail::signals_are_one_row;
    TrailsOfPurgedAreIgnored, "what purged tokens leave is left out without an error, and goes with them", trail::trails_of_purged_are_ignored;
    BusyHoursAreCompared, "the counts of an hour are told beside those of the hours before it", trail::busy_hours_are_compared;
    FoldingLosesNothing, "hours become parts of days, and no count is lost or added twice", trail::folding_loses_nothing;
    ForgetsTheOldOnly, "usage is forgotten that is older than was said, and no other", trail::forgets_the_old_only;

    FeedTellsEveryChange, "the feed tells every change after the cursor, in order", feed::feed_tells_every_change;
    FeedWakesOrTimesOut, "the feed answers when something changes, and when the wait is over", feed::feed_wakes_or_times_out;
    ClaimsAreLeased, "a claimed event is nobody else's until its lease ends", feed::claims_are_leased;
    WrongLeasesEnd, "a lease that ends later than any that begins now is none", feed::wrong_leases_end;
    ClaimsKeepOrder, "no event of a subject overtakes one that is claimed", feed::claims_keep_order;
    AcksArePermanent, "an acknowledged event is never claimed again", feed::acks_are_permanent;
    PurgeTakesTheDeadOnly, "purge deletes tokens that were dead before the moment, with all that is theirs", feed::purge_takes_the_dead_only;
    PurgeKeepsUndelivered, "purge keeps tokens with events that were not delivered", feed::purge_keeps_undelivered;
    PurgeIsBounded, "purge deletes no more than it was told", feed::purge_is_bounded;

    RotateRacesRotate, "of rotations at once one wins, and two secrets are live", races::rotate_races_rotate;
    RotateRacesRevoke, "a revoke beats every rotation", races::rotate_races_revoke;
    CreateRacesCap, "creating at once never exceeds the cap, and fills it", races::create_races_cap;
    CreateRacesSuspend, "no token is created after its owner was suspended", races::create_races_suspend;
    EditRacesVerify, "a load during edits sees one moment", races::edit_races_verify;
    EventRacesChange, "after changes at once, every history is whole and fits its row", races::event_races_change;
    RepeatRacesRepeat, "one change id sent at once is one change", races::repeat_races_repeat;
}
