//! Characters whose folding needs no tables: those that most texts are made of.

/// How a character is folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fast {
    /// As this one, whatever comes before it.
    Starter(char),
    /// As itself, a mark with this canonical combining class, unless one of a higher class comes before it.
    Mark(u8),
}

impl Fast {
    /// `None` for a character that the tables have to say it of.
    pub(crate) fn of(c: char) -> Option<Self> {
        let folded = match c {
            '\0'..='\x7f' => c.to_ascii_lowercase(),
            // Latin, without what is folded to two letters, or to ASCII.
            'À'..='Þ' if c != '×' => latin_1_lower(c),
            'à'..='ÿ' => c,
            'Ā'..='į' | 'Ĵ'..='ľ' | 'Ł'..='ň' | 'Ŋ'..='ž' => lower(c),
            'ı' => c,
            // Greek, whose accents are left out.
            'α'..='ω' if c != 'ς' => c,
            'Α'..='Ρ' | 'Σ'..='Ω' => lower(c),
            'ς' => 'σ',
            'ά' => 'α',
            'έ' => 'ε',
            'ή' => 'η',
            'ί' => 'ι',
            'ό' => 'ο',
            'ύ' => 'υ',
            'ώ' => 'ω',
            // Cyrillic.
            'Ѐ'..='ѿ' => lower(c),
            // Thai: consonants and vowels, without U+0E33, which is two.
            '\u{e01}'..='\u{e32}' | '\u{e34}'..='\u{e37}' | '\u{e3f}'..='\u{e47}' => c,
            '\u{e38}'..='\u{e3a}' => return Some(Self::Mark(if c == '\u{e3a}' { 9 } else { 103 })),
            '\u{e48}'..='\u{e4b}' => return Some(Self::Mark(107)),
            // Dashes and quotation marks.
            '\u{2012}'..='\u{2015}' | '\u{2018}'..='\u{201f}' => c,
            // Punctuation of Chinese and Japanese, kana, Han, Hangul.
            '、' | '。' | '「' | '」' | '『' | '』' | '《' | '》' => c,
            'ぁ'..='ゖ' | 'ァ'..='ヺ' | 'ー' => c,
            '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' => c,
            // Full width.
            '！'..='～' => full_width(c),
            _ => return None,
        };
        Some(Self::Starter(folded))
    }
}

fn latin_1_lower(c: char) -> char {
    char::from_u32(u32::from(c) + 0x20).unwrap_or(c)
}

fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

fn full_width(c: char) -> char {
    let ascii = u32::from(c) - 0xfee0;
    char::from_u32(ascii).unwrap_or(c).to_ascii_lowercase()
}
