//! What expires: the duties of `signer status`, and the bins, which are not among them.

use tuf_core::Role;

use super::{Findings, Subject};
use crate::commands::status::{self, duties};
use crate::published::Published;
use crate::refresh::{due_from, expiries};
use crate::reports::day;
use crate::reports::doctor::Area;

pub(super) fn look(subject: &Subject<'_>, published: Option<&Published<'_>>, findings: &mut Findings) {
    let Some(published) = published else { return findings.skip(Area::Expiry) };
    let now = subject.around.now;
    let within = subject.args.within;
    let seen = status::Seen { repository: subject.repository, config: subject.config, published };
    // Where a delegated role is damaged, that was told of the published files.
    let (Ok(duties), Ok(all)) = (duties(&seen, within, false, subject.around), expiries(published, true))
    else {
        return findings.skip(Area::Expiry);
    };
    for duty in &duties {
        if duty.expires <= now {
            let what = format!("{} has expired {}: clients refuse it", duty.role, day(duty.expires));
            findings.problem(Area::Expiry, what, &duty.role, &mend(&duty.role, duty.can_sign));
        } else if duty.due {
            let what = format!("{} must be signed before {}", duty.role, day(duty.expires));
            findings.warning(Area::Expiry, what, &duty.role, &mend(&duty.role, duty.can_sign));
        }
    }
    for (role, expires) in all {
        let (name, bin) = (role.name(), matches!(role, Role::Delegated(_)));
        if !bin || duties.iter().any(|duty| duty.role == name) {
            continue;
        }
        if expires <= now {
            let what = format!("a bin has expired {}", day(expires));
            findings.problem(Area::Expiry, what, name, "`signer refresh`");
        } else if due_from(&role, expires, subject.config, within) <= now {
            let what = format!("a bin must be signed before {}", day(expires));
            findings.warning(Area::Expiry, what, name, "`signer refresh`");
        }
    }
    for name in subject.config.named_roles() {
        if published.role(&Role::of_targets(name)).is_ok_and(|role| role.is_none()) {
            let what = format!("[expiry] in signer.toml is for {name}, and there is no such role");
            let at = subject.repository.config().display().to_string();
            findings.warning(Area::Expiry, what, at, "correct the name, or take the line out");
        }
    }
    let next = duties.iter().min_by_key(|duty| duty.due_from);
    let next = next.map(|duty| format!("{} next, from {}", duty.role, day(duty.due_from)));
    findings.close(Area::Expiry, format!("nothing is due: {}", next.unwrap_or_default()));
}

fn mend(role: &str, can_sign: bool) -> String {
    match (role, can_sign) {
        ("root", true) => "`signer role renew root`, then `signer publish`".to_owned(),
        ("root", false) => {
            "`signer role renew root`, then `signer ceremony propose` for who holds its keys".to_owned()
        }
        (_, true) => "`signer refresh`".to_owned(),
        ("timestamp" | "snapshot", false) => "`signer refresh` where its keys are".to_owned(),
        (_, false) => {
            format!("`signer role renew {role}`, then `signer ceremony propose` for who holds its keys")
        }
    }
}
