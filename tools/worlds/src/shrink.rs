//! Makes a failing list of operations as short as it stays failing (delta debugging), and its numbers smaller.

use crate::operation::{Operation, Scenario};

/// The shortest scenario found that still `fails`; at most `tries` are run.
pub fn shrink(scenario: &Scenario, mut tries: usize, fails: impl Fn(&Scenario) -> bool) -> Scenario {
    let mut best = scenario.clone();
    let mut attempt = |candidate: &Scenario| {
        if tries == 0 {
            return false;
        }
        tries -= 1;
        fails(candidate)
    };
    let mut parts = 2;
    while best.operations.len() > 1 {
        let size = best.operations.len().div_ceil(parts);
        let shorter = (0..parts)
            .map(|part| without(&best, part * size, size))
            .find(|candidate| candidate.operations.len() < best.operations.len() && attempt(candidate));
        match shorter {
            Some(shorter) => {
                best = shorter;
                parts = parts.saturating_sub(1).max(2);
            }
            None if size == 1 => break,
            None => parts = (parts * 2).min(best.operations.len()),
        }
    }
    for index in 0..best.operations.len() {
        while let Some(smaller) = smaller(&best, index).filter(|candidate| attempt(candidate)) {
            best = smaller;
        }
    }
    while best.edges > 1 {
        let fewer = Scenario { edges: best.edges - 1, ..best.clone() };
        if !attempt(&fewer) {
            break;
        }
        best = fewer;
    }
    best
}

fn without(scenario: &Scenario, from: usize, count: usize) -> Scenario {
    let left = scenario.operations.iter().enumerate().filter(|(at, _)| !(from..from + count).contains(at));
    Scenario { operations: left.map(|(_, operation)| *operation).collect(), ..scenario.clone() }
}

/// The same with half the time at one place.
fn smaller(scenario: &Scenario, index: usize) -> Option<Scenario> {
    let mut smaller = scenario.clone();
    match smaller.operations.get_mut(index)? {
        Operation::Advance { seconds } | Operation::Trouble { seconds, .. } if *seconds > 20 => {
            *seconds = (*seconds / 2).next_multiple_of(10);
        }
        Operation::Strike { times, .. } if *times > 1 => *times -= 1,
        Operation::Kill { after_requests, .. } if *after_requests > 0 => *after_requests -= 1,
        _ => return None,
    }
    Some(smaller)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_matter_is_left_out() {
        let scenario = Scenario::random(7);
        let mut operations = scenario.operations.clone();
        operations.insert(2, Operation::HealAll);
        operations.push(Operation::Advance { seconds: 640 });
        let scenario = Scenario { operations, ..scenario };
        let fails = |candidate: &Scenario| {
            let time: u64 = candidate
                .operations
                .iter()
                .map(|operation| if let Operation::Advance { seconds } = operation { *seconds } else { 0 })
                .sum();
            candidate.operations.contains(&Operation::HealAll) && time >= 100
        };
        let shortest = shrink(&scenario, 1_000, fails);
        assert_eq!(shortest.operations.len(), 2, "{shortest:?}");
        assert_eq!(shortest.edges, 1);
    }
}
