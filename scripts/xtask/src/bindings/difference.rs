//! The difference of two texts, by lines.

/// Lines that went and came, each with the line before it that stayed, as `diff` shows them.
pub fn lines(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    // Lengths of the longest common rest from each pair of lines on.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] =
                if old[i] == new[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut shown = Vec::new();
    let mut stayed = None;
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            stayed = Some(old[i]);
            i += 1;
            j += 1;
            continue;
        }
        shown.extend(stayed.take().map(|line| format!("      {line}")));
        if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            shown.push(format!("    - {}", old[i]));
            i += 1;
        } else {
            shown.push(format!("    + {}", new[j]));
            j += 1;
        }
    }
    shown.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_and_what_came_is_shown_with_the_line_before() {
        let text = lines("class A\n  fun one()\n  fun two()\nend\n", "class A\n  fun one()\n  fun three()\nend\n");
        assert_eq!(text, "        fun one()\n    -   fun two()\n    +   fun three()");
    }

    #[test]
    fn equal_texts_have_no_difference_and_an_empty_one_has_all() {
        assert_eq!(lines("a\nb", "a\nb"), "");
        assert_eq!(lines("", "a\nb"), "    + a\n    + b");
        assert_eq!(lines("a", ""), "    - a");
    }
}
