//! The languages that Whisper was trained on, in the order of their tokens (source: openai/whisper `tokenizer.py`).

/// One language of Whisper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Language {
    /// Whisper's code: mostly ISO 639-1, as in `<|en|>`; `haw`, `jw` and `yue` are its own.
    pub code: &'static str,
    /// English name, lower case.
    pub name: &'static str,
    /// Further English names and codes that mean this language to Whisper.
    pub aliases: &'static [&'static str],
}

const fn plain(code: &'static str, name: &'static str) -> Language {
    Language { code, name, aliases: &[] }
}

const fn also(code: &'static str, name: &'static str, aliases: &'static [&'static str]) -> Language {
    Language { code, name, aliases }
}

/// All languages in token order. Models before large-v3 know the first 99.
pub const LANGUAGES: [Language; 100] = [
    plain("en", "english"),
    also("zh", "chinese", &["mandarin"]),
    plain("de", "german"),
    also("es", "spanish", &["castilian"]),
    plain("ru", "russian"),
    plain("ko", "korean"),
    plain("fr", "french"),
    plain("ja", "japanese"),
    plain("pt", "portuguese"),
    plain("tr", "turkish"),
    plain("pl", "polish"),
    also("ca", "catalan", &["valencian"]),
    also("nl", "dutch", &["flemish"]),
    plain("ar", "arabic"),
    plain("sv", "swedish"),
    plain("it", "italian"),
    plain("id", "indonesian"),
    plain("hi", "hindi"),
    plain("fi", "finnish"),
    plain("vi", "vietnamese"),
    // `iw` is the code that the files of the first models use.
    also("he", "hebrew", &["iw"]),
    plain("uk", "ukrainian"),
    plain("el", "greek"),
    plain("ms", "malay"),
    plain("cs", "czech"),
    also("ro", "romanian", &["moldavian", "moldovan"]),
    plain("da", "danish"),
    plain("hu", "hungarian"),
    plain("ta", "tamil"),
    plain("no", "norwegian"),
    plain("th", "thai"),
    plain("ur", "urdu"),
    plain("hr", "croatian"),
    plain("bg", "bulgarian"),
    plain("lt", "lithuanian"),
    plain("la", "latin"),
    plain("mi", "maori"),
    plain("ml", "malayalam"),
    plain("cy", "welsh"),
    plain("sk", "slovak"),
    plain("te", "telugu"),
    plain("fa", "persian"),
    plain("lv", "latvian"),
    plain("bn", "bengali"),
    plain("sr", "serbian"),
    plain("az", "azerbaijani"),
    plain("sl", "slovenian"),
    plain("kn", "kannada"),
    plain("et", "estonian"),
    plain("mk", "macedonian"),
    plain("br", "breton"),
    plain("eu", "basque"),
    plain("is", "icelandic"),
    plain("hy", "armenian"),
    plain("ne", "nepali"),
    plain("mn", "mongolian"),
    plain("bs", "bosnian"),
    plain("kk", "kazakh"),
    plain("sq", "albanian"),
    plain("sw", "swahili"),
    plain("gl", "galician"),
    plain("mr", "marathi"),
    also("pa", "punjabi", &["panjabi"]),
    also("si", "sinhala", &["sinhalese"]),
    plain("km", "khmer"),
    plain("sn", "shona"),
    plain("yo", "yoruba"),
    plain("so", "somali"),
    plain("af", "afrikaans"),
    plain("oc", "occitan"),
    plain("ka", "georgian"),
    plain("be", "belarusian"),
    plain("tg", "tajik"),
    plain("sd", "sindhi"),
    plain("gu", "gujarati"),
    plain("am", "amharic"),
    plain("yi", "yiddish"),
    plain("lo", "lao"),
    plain("uz", "uzbek"),
    plain("fo", "faroese"),
    also("ht", "haitian creole", &["haitian"]),
    also("ps", "pashto", &["pushto"]),
    plain("tk", "turkmen"),
    plain("nn", "nynorsk"),
    plain("mt", "maltese"),
    plain("sa", "sanskrit"),
    also("lb", "luxembourgish", &["letzeburgesch"]),
    also("my", "myanmar", &["burmese"]),
    plain("bo", "tibetan"),
    plain("tl", "tagalog"),
    plain("mg", "malagasy"),
    plain("as", "assamese"),
    plain("tt", "tatar"),
    plain("haw", "hawaiian"),
    plain("ln", "lingala"),
    plain("ha", "hausa"),
    plain("ba", "bashkir"),
    plain("jw", "javanese"),
    plain("su", "sundanese"),
    plain("yue", "cantonese"),
];

/// The language with this code, name or alias, in any case (`en`, `English`, `flemish`).
#[must_use]
pub fn language(code_or_name: &str) -> Option<&'static Language> {
    let wanted = code_or_name.trim();
    LANGUAGES.iter().find(|language| {
        [language.code, language.name].iter().chain(language.aliases).any(|known| known.eq_ignore_ascii_case(wanted))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_names_and_aliases_lead_to_one_language() {
        for (wanted, code) in [("en", "en"), ("English", "en"), (" FLEMISH ", "nl"), ("Haitian Creole", "ht")] {
            assert_eq!(language(wanted).map(|language| language.code), Some(code), "{wanted}");
        }
        assert_eq!(language("elvish"), None);
        assert_eq!(language(""), None);
    }

    #[test]
    fn no_two_languages_share_a_name() {
        let mut names: Vec<_> =
            LANGUAGES.iter().flat_map(|l| [l.code, l.name].into_iter().chain(l.aliases.iter().copied())).collect();
        let listed = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), listed);
    }
}
