//! What someone is about to allow a token, as a form holds it: read from what was sent, from a link, or from a token that is there.

use std::collections::BTreeSet;
use std::time::Duration;

use token_core::{
    Edit, Expiry, Grant, Grants, Networks, NewToken, OwnerId, Policy, ResourceId, ResourceSet, Resources, ScopeName,
    Token, TokenName,
};

use crate::dates::Dates;
use crate::form::{Form, Unreadable};
use crate::screen::Preset;
use crate::words as w;

use super::frame::Faults;
use super::permissions::{Kind, split};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Which resources the permissions reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Reach {
    #[default]
    All,
    Some,
    /// Each what it reaches already, which differs.
    Kept,
}

/// The fields of a form as they were filled in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    pub(crate) owner: String,
    pub(crate) name: String,
    /// The scopes that are chosen, by name.
    pub(crate) chosen: BTreeSet<&'static str>,
    pub(crate) reach: Reach,
    pub(crate) resources: String,
    /// The key of an expiry, such as `30`, `date`, `never` or `keep`.
    pub(crate) expires: String,
    pub(crate) date: String,
    pub(crate) networks: String,
}

impl Draft {
    /// What was sent, or what a link asks to begin with. Takes the fields that it knows.
    pub(crate) fn read(form: &mut Form, kinds: &[Kind]) -> Result<Draft, Unreadable> {
        let mut chosen = BTreeSet::new();
        for kind in kinds {
            if kind.is_ladder {
                let action = form.take(&format!("p.{}", kind.resource)).filter(|action| action != "none");
                if let Some(action) = action {
                    let is_it = |name: &str| split(name).1 == action;
                    chosen.insert(kind.scopes.iter().find(|def| is_it(def.name)).ok_or(Unreadable)?.name);
                }
            } else {
                for def in &kind.scopes {
                    if form.ticked(&format!("s.{}", def.name))? {
                        chosen.insert(def.name);
                    }
                }
            }
        }
        let reach = match form.take("reach").as_deref() {
            None | Some("all") => Reach::All,
            Some("some") => Reach::Some,
            Some("kept") => Reach::Kept,
            Some(_) => return Err(Unreadable),
        };
        let mut text = |name: &str| form.take(name).unwrap_or_default();
        Ok(Draft {
            owner: text("owner"),
            name: text("name"),
            chosen,
            reach,
            resources: text("resources"),
            expires: text("expires"),
            date: text("date"),
            networks: text("networks"),
        })
    }

    /// A token as it is.
    pub(crate) fn of(token: &Token, kinds: &[Kind], dates: &Dates) -> Draft {
        let (reach, resources) = reach(&token.grants);
        Draft {
            owner: token.owner.to_string(),
            name: token.name.to_string(),
            chosen: kinds.iter().flat_map(|kind| kind.shown(&token.grants)).collect(),
            reach,
            resources: resources.map(|set| lines(set.iter())).unwrap_or_default(),
            expires: "keep".to_owned(),
            date: token.expires_at.map(|at| dates.input_day(at)).unwrap_or_default(),
            networks: token.networks.as_ref().map(|networks| lines(networks.as_slice().iter())).unwrap_or_default(),
        }
    }

    /// Chooses what a preset names, instead of what was chosen. Of scopes that the catalog lacks, none.
    pub(crate) fn choose(&mut self, preset: &Preset, kinds: &[Kind]) {
        let names = kinds.iter().flat_map(|kind| &kind.scopes).map(|def| def.name);
        self.chosen = names.filter(|name| preset.scopes.iter().any(|scope| scope == name)).collect();
    }

    /// The token that is asked for. An expiry that was not chosen is the policy's.
    pub(crate) fn new_token(&self, dates: &Dates, is_admin: bool) -> Result<NewToken, Faults> {
        let mut faults = Faults::default();
        let owner = match (is_admin, self.owner.as_str()) {
            (false, _) => None,
            (true, owner) => noted(&mut faults, "owner", OwnerId::new(owner).map_err(|_| w::OWNER_NEEDED)),
        };
        let name = noted(&mut faults, "name", name(&self.name));
        let grants = noted(&mut faults, "resources", self.new_grants());
        let networks = noted(&mut faults, "networks", self.networks());
        let expiry = noted(&mut faults, "expires", self.expiry(dates));
        match (name, grants, networks, expiry) {
            (Some(name), Some(grants), Some(networks), Some(expiry)) if faults.is_empty() => {
                Ok(NewToken { owner, name, grants, networks, expiry })
            }
            _ => Err(faults),
        }
    }

    /// What is to become of a token: only what differs from it.
    pub(crate) fn edit(&self, token: &Token, kinds: &[Kind], dates: &Dates) -> Result<Edit, Faults> {
        let mut faults = Faults::default();
        let name = noted(&mut faults, "name", name(&self.name));
        let grants = noted(&mut faults, "resources", self.grants(&token.grants, kinds));
        let networks = noted(&mut faults, "networks", self.networks());
        let expiry = noted(&mut faults, "expires", self.expiry(dates));
        match (name, grants, networks, expiry) {
            (Some(name), Some(grants), Some(networks), Some(expiry)) => Ok(Edit {
                name: (name != token.name).then_some(name),
                grants: (grants != token.grants).then_some(grants),
                networks: (networks != token.networks).then_some(networks),
                expiry,
            }),
            _ => Err(faults),
        }
    }

    fn new_grants(&self) -> Result<Grants, String> {
        let reach = match self.reach {
            _ if self.chosen.is_empty() => return Ok(Grants::default()),
            Reach::All => Resources::All,
            Reach::Some => Resources::Only(resources(&self.resources)?),
            Reach::Kept => return Err(w::REACH_NEEDED.to_owned()),
        };
        let grants = self.chosen.iter().map(|name| {
            let scope = ScopeName::new(*name).map_err(|error| w::sentence(&error.to_string()))?;
            Ok(Grant { scope, resources: reach.clone() })
        });
        granted(grants.collect::<Result<Vec<_>, String>>()?)
    }

    /// What is to be granted instead of this. A form shows less than is granted, such as one step of a ladder where there are grants of
    /// several: where nothing else was chosen than it showed, all of it stays as it is.
    fn grants(&self, held: &Grants, kinds: &[Kind]) -> Result<Grants, String> {
        let is_kept = |kind: &Kind| {
            let chosen = kind.scopes.iter().map(|def| def.name).filter(|name| self.chosen.contains(name));
            chosen.eq(kind.shown(held))
        };
        let reaches_the_same = || match (self.reach, reach(held)) {
            (Reach::Some, (Reach::Some, set)) => Ok::<_, String>(Some(&resources(&self.resources)?) == set),
            (now, (before, _)) => Ok(now == before),
        };
        if kinds.iter().all(is_kept) && reaches_the_same()? {
            return Ok(held.clone());
        }
        if self.reach != Reach::Kept {
            return self.new_grants();
        }
        let mut grants = Vec::new();
        for kind in kinds {
            let names = kind.scopes.iter().map(|def| def.name);
            for name in names.filter(|name| is_kept(kind) || self.chosen.contains(name)) {
                match held.iter().find(|(scope, _)| scope.as_str() == name) {
                    Some((scope, reach)) => grants.push(Grant { scope: scope.clone(), resources: reach.clone() }),
                    None if is_kept(kind) => {}
                    None => return Err(w::REACH_NEEDED.to_owned()),
                }
            }
        }
        granted(grants)
    }

    fn networks(&self) -> Result<Option<Networks>, String> {
        let texts: Vec<&str> = words(&self.networks).collect();
        if texts.is_empty() {
            return Ok(None);
        }
        Networks::parse(texts).map(Some).map_err(|error| w::sentence(&error.to_string()))
    }

    fn expiry(&self, dates: &Dates) -> Result<Option<Expiry>, &'static str> {
        match self.expires.as_str() {
            "" | "default" | "keep" => Ok(None),
            "never" => Ok(Some(Expiry::Never)),
            "date" => dates.end_of_day(&self.date).map(|end| Some(Expiry::At(end))).ok_or(w::DATE_NEEDED),
            days => {
                let known = [7, 30, 90, 365].into_iter().find(|known: &u32| known.to_string() == days);
                known.map(|days| Some(Expiry::After(DAY * days))).ok_or(w::DATE_NEEDED)
            }
        }
    }
}

/// One of the ends that can be chosen.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) key: String,
    pub(crate) label: String,
    /// The day that it comes to.
    pub(crate) day: Option<String>,
}

/// The ends that the policy allows, in order. The one that the policy takes by itself is among them.
pub(crate) fn ends(policy: &Policy, dates: &Dates) -> Vec<Choice> {
    let allowed = |span: Duration| policy.max_lifetime.is_none_or(|max| span <= max);
    let day = |span: Duration| dates.now.checked_add(span).map(|at| dates.day(at));
    let mut choices = Vec::new();
    for days in [7, 30, 90, 365] {
        if allowed(DAY * days) {
            let label = w::days(u64::from(days));
            choices.push(Choice { key: days.to_string(), label, day: day(DAY * days) });
        }
    }
    if default_key(policy) == "default" {
        let span = policy.default_lifetime;
        choices.push(Choice { key: "default".to_owned(), label: crate::dates::exact_duration(span), day: day(span) });
    }
    choices.push(Choice { key: "date".to_owned(), label: w::ON_A_DAY.to_owned(), day: None });
    if policy.never_expires {
        choices.push(Choice { key: "never".to_owned(), label: w::NEVER.to_owned(), day: None });
    }
    choices
}

/// The end that is chosen from the start.
pub(crate) fn default_key(policy: &Policy) -> String {
    let days = [7, 30, 90, 365].into_iter().find(|days: &u32| DAY * *days == policy.default_lifetime);
    days.map_or_else(|| "default".to_owned(), |days| days.to_string())
}

/// Notes what is wrong with a field, or goes on with it.
fn noted<T, E: Into<String>>(faults: &mut Faults, field: &'static str, read: Result<T, E>) -> Option<T> {
    read.map_err(|says| faults.add(field, says)).ok()
}

fn name(text: &str) -> Result<TokenName, &'static str> {
    match TokenName::new(text) {
        Ok(_) if text.trim().is_empty() => Err(w::NAME_NEEDED),
        Ok(name) => Ok(name),
        Err(_) if text.is_empty() => Err(w::NAME_NEEDED),
        Err(_) if text.chars().count() > 100 => Err(w::NAME_TOO_LONG),
        Err(_) => Err(w::NAME_HIDDEN),
    }
}

fn granted(grants: Vec<Grant>) -> Result<Grants, String> {
    Grants::new(grants).map_err(|error| w::sentence(&error.to_string()))
}

/// What grants reach, as a form shows it, with the resources where all reach the same few.
fn reach(grants: &Grants) -> (Reach, Option<&ResourceSet>) {
    let mut reaches = grants.iter().map(|(_, reach)| reach);
    match reaches.next().unwrap_or(&Resources::All) {
        first if reaches.any(|other| other != first) => (Reach::Kept, None),
        Resources::All => (Reach::All, None),
        Resources::Only(set) => (Reach::Some, Some(set)),
    }
}

fn resources(text: &str) -> Result<ResourceSet, String> {
    let said = |error: &dyn std::error::Error| w::sentence(&error.to_string());
    let ids = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let ids = ids.map(ResourceId::new).collect::<Result<Vec<_>, _>>().map_err(|error| said(&error))?;
    if ids.is_empty() {
        return Err(w::RESOURCES_NEEDED.to_owned());
    }
    ResourceSet::new(ids).map_err(|error| said(&error))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty())
}

fn lines<T: ToString>(items: impl Iterator<Item = T>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join("\n")
}
