//! British spelling to American spelling, by families of words with stems and endings (why not by a list: see
//! [`normalize`](super)).

use super::scan::words;
use std::borrow::Cow;

/// Words of one of `stems`, the British middle and one of `endings` get the American middle.
struct Family {
    british: &'static str,
    american: &'static str,
    stems: &'static [&'static str],
    endings: &'static [&'static str],
}

const FAMILIES: [Family; 7] = [
    Family {
        british: "our",
        american: "or",
        stems: &[
            "arm",
            "behavi",
            "cand",
            "clam",
            "col",
            "discol",
            "disfav",
            "dishon",
            "endeav",
            "fav",
            "ferv",
            "flav",
            "harb",
            "hon",
            "hum",
            "lab",
            "misbehavi",
            "neighb",
            "od",
            "parl",
            "ranc",
            "rig",
            "rum",
            "savi",
            "sav",
            "splend",
            "succ",
            "tum",
            "vap",
            "vig",
            "waterc",
        ],
        endings: &[
            "", "s", "ed", "ing", "ings", "able", "ably", "al", "er", "ers", "ful", "fully", "hood", "hoods", "ite",
            "ites", "less", "ly", "y", "itism",
        ],
    },
    Family {
        british: "is",
        american: "iz",
        stems: &[
            "agon",
            "apolog",
            "author",
            "brutal",
            "capital",
            "character",
            "civil",
            "colon",
            "commercial",
            "critic",
            "crystall",
            "demoral",
            "disorgan",
            "econom",
            "emphas",
            "energ",
            "equal",
            "fantas",
            "fertil",
            "final",
            "formal",
            "general",
            "glamor",
            "global",
            "harmon",
            "hospital",
            "hypnot",
            "ideal",
            "idol",
            "immobil",
            "immortal",
            "immun",
            "industrial",
            "jeopard",
            "legal",
            "liberal",
            "local",
            "material",
            "maxim",
            "mechan",
            "memor",
            "mesmer",
            "minim",
            "mobil",
            "modern",
            "monopol",
            "moral",
            "national",
            "neutral",
            "normal",
            "optim",
            "organ",
            "ostrac",
            "oxid",
            "pasteur",
            "patron",
            "penal",
            "personal",
            "plagiar",
            "polar",
            "popular",
            "pressur",
            "priorit",
            "privat",
            "rational",
            "real",
            "recogn",
            "reorgan",
            "revital",
            "revolution",
            "romantic",
            "satir",
            "scrutin",
            "sensational",
            "sexual",
            "social",
            "special",
            "stabil",
            "standard",
            "steril",
            "stigmat",
            "subsid",
            "summar",
            "symbol",
            "sympath",
            "synchron",
            "tantal",
            "terror",
            "theor",
            "tranquill",
            "traumat",
            "trivial",
            "unauthor",
            "unrecogn",
            "urban",
            "util",
            "vandal",
            "verbal",
            "victim",
            "visual",
            "western",
        ],
        endings: &["e", "ed", "es", "er", "ers", "ing", "ation", "ations", "able"],
    },
    Family {
        british: "ys",
        american: "yz",
        stems: &["anal", "catal", "paral"],
        endings: &["e", "ed", "er", "ers", "ing"],
    },
    Family {
        british: "re",
        american: "er",
        stems: &[
            "amphitheat",
            "calib",
            "cent",
            "centimet",
            "epicent",
            "fib",
            "kilomet",
            "lit",
            "louv",
            "lust",
            "meag",
            "met",
            "millilit",
            "millimet",
            "och",
            "reconnoit",
            "sab",
            "sepulch",
            "somb",
            "spect",
            "theat",
        ],
        endings: &["", "s"],
    },
    Family {
        british: "ll",
        american: "l",
        stems: &[
            "cance", "channe", "counse", "dia", "due", "ename", "equa", "fue", "jewe", "labe", "leve", "marve", "mode",
            "pane", "peda", "quarre", "reve", "riva", "shove", "shrive", "signa", "snorke", "spira", "tota", "trave",
            "tunne", "unrave", "woo",
        ],
        endings: &["ed", "ing", "er", "ers", "ous", "ously", "or", "ors", "en", "ings"],
    },
    Family {
        british: "ogue",
        american: "og",
        stems: &["anal", "catal", "dial", "homol", "monol", "travel"],
        endings: &["", "s"],
    },
    Family { british: "ence", american: "ense", stems: &["def", "lic", "off", "pret"], endings: &["", "s", "less"] },
];

/// Single words.
const WORDS: &[(&str, &str)] = &[
    ("aeroplane", "airplane"),
    ("aeroplanes", "airplanes"),
    ("aesthetic", "esthetic"),
    ("aluminium", "aluminum"),
    ("anaesthetic", "anesthetic"),
    ("archaeologist", "archeologist"),
    ("archaeologists", "archeologists"),
    ("archaeology", "archeology"),
    ("axe", "ax"),
    ("centred", "centered"),
    ("cheque", "check"),
    ("cheques", "checks"),
    ("chilli", "chili"),
    ("cosier", "cozier"),
    ("cosy", "cozy"),
    ("councillor", "councilor"),
    ("councillors", "councilors"),
    ("disc", "disk"),
    ("discs", "disks"),
    ("draught", "draft"),
    ("draughts", "drafts"),
    ("encyclopaedia", "encyclopedia"),
    ("enrol", "enroll"),
    ("foetus", "fetus"),
    ("fulfil", "fulfill"),
    ("gage", "gauge"),
    ("grey", "gray"),
    ("greys", "grays"),
    ("instalment", "installment"),
    ("jewellery", "jewelry"),
    ("judgement", "judgment"),
    ("judgements", "judgments"),
    ("kerb", "curb"),
    ("manoeuvre", "maneuver"),
    ("manoeuvres", "maneuvers"),
    ("mediaeval", "medieval"),
    ("mmm", "hmm"),
    ("mould", "mold"),
    ("moulds", "molds"),
    ("mouldy", "moldy"),
    ("moustache", "mustache"),
    ("moustaches", "mustaches"),
    ("omelette", "omelet"),
    ("paediatric", "pediatric"),
    ("phoney", "phony"),
    ("plough", "plow"),
    ("ploughed", "plowed"),
    ("practise", "practice"),
    ("practised", "practiced"),
    ("practising", "practicing"),
    ("programme", "program"),
    ("programmes", "programs"),
    ("pyjamas", "pajamas"),
    ("sceptic", "skeptic"),
    ("sceptical", "skeptical"),
    ("sheikh", "sheik"),
    ("skilful", "skillful"),
    ("smoulder", "smolder"),
    ("smouldering", "smoldering"),
    ("tonne", "ton"),
    ("tonnes", "tons"),
    ("tyre", "tire"),
    ("tyres", "tires"),
    ("wilful", "willful"),
    ("worshipped", "worshiped"),
    ("worshipping", "worshiping"),
];

/// Replaces word by word. Words are then separated by single spaces.
pub(super) fn standardize(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in words(text) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&american(word));
    }
    out
}

/// The American spelling of a lower-case word.
fn american(word: &str) -> Cow<'_, str> {
    if let Ok(index) = WORDS.binary_search_by_key(&word, |(british, _)| british) {
        return Cow::Borrowed(WORDS[index].1);
    }
    for family in &FAMILIES {
        for (middle, _) in word.match_indices(family.british) {
            let (stem, ending) = (&word[..middle], &word[middle + family.british.len()..]);
            if family.stems.contains(&stem) && family.endings.contains(&ending) {
                return Cow::Owned([stem, family.american, ending].concat());
            }
        }
    }
    Cow::Borrowed(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_recognised_with_their_endings() {
        assert_eq!(
            standardize("favourite  colours travelled metres organisation analysed catalogue defence grey centred"),
            "favorite colors traveled meters organization analyzed catalog defense gray centered"
        );
    }

    #[test]
    fn other_words_stay() {
        for word in
            ["four", "hour", "advise", "promise", "exercise", "rise", "wise", "fence", "called", "college", "sour"]
        {
            assert_eq!(american(word), word);
        }
    }

    #[test]
    fn the_word_list_is_in_order() {
        assert!(WORDS.is_sorted_by(|a, b| a.0 < b.0));
    }
}
