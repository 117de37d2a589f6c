//! The chain for a person: a link a line, each below the one that vouches for it.

use verifier_lib::{Node, Status};

use crate::style::{Style, in_a_line, say, shown};

/// Prints a tree on stderr.
pub(super) fn print(top: &Node, style: Style) {
    branch(top, 1, style);
}

fn branch(node: &Node, depth: usize, style: Style) {
    let link = &node.link;
    let mark = match link.status {
        Status::Passed => style.good("ok     "),
        Status::Deferred => style.unsure("later  "),
        Status::Broken => style.bad("BROKEN "),
        Status::Unknown => style.unsure("unknown"),
    };
    let indent = "  ".repeat(depth);
    say!("{indent}{mark} {:<9} {}", link.stage.name(), in_a_line(&link.subject));
    let below = |text: &str| say!("{indent}        {}", style.faint(text));
    if !link.detail.is_empty() {
        below(&shown(&link.detail));
    }
    if let Some(why) = node.rests_on {
        below(&format!("because: {why}"));
    }
    link.key_ids.iter().for_each(|key| below(&format!("key {}", shown(key))));
    if let (Some(expected), Some(got)) = (&link.expected, &link.got) {
        say!("{indent}        expected {}", shown(expected));
        say!("{indent}        got      {}", shown(got));
    }
    if let Some(others) = &node.left_out {
        below(&format!("not looked at: {}", shown(others)));
    }
    node.children.iter().for_each(|child| branch(child, depth.saturating_add(1), style));
}
