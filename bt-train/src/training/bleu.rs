//! BLEU of captions (Papineni et al. 2002): how many runs of words they share with what people wrote.

use std::collections::HashMap;

/// Longest run of words that is counted.
pub const ORDER: usize = 4;

/// BLEU-1 to BLEU-4 of a corpus, each of 0 to 1: the geometric mean of the precisions of runs of up to so many words,
/// those of a caption counted as often as one of its references has them, times the penalty for brevity against the
/// references nearest in length, the shorter of two. Nothing is smoothed: without a common run it is 0.
///
/// # Panics
/// When there are not as many lists of references as captions.
pub fn bleu<W: AsRef<[usize]>>(captions: &[W], references: &[Vec<W>]) -> [f64; ORDER] {
    assert_eq!(captions.len(), references.len(), "references");
    let (mut right, mut all) = ([0usize; ORDER], [0usize; ORDER]);
    let (mut length, mut wanted) = (0, 0);
    for (caption, references) in captions.iter().zip(references) {
        let caption = caption.as_ref();
        length += caption.len();
        let lengths = references.iter().map(|reference| reference.as_ref().len());
        let nearest = lengths.min_by_key(|&other| (other.abs_diff(caption.len()), other));
        wanted += nearest.unwrap_or(0);
        for order in 0..ORDER {
            let mut most: HashMap<&[usize], usize> = HashMap::new();
            for reference in references {
                for (run, count) in runs(reference.as_ref(), order + 1) {
                    let most = most.entry(run).or_default();
                    *most = count.max(*most);
                }
            }
            for (run, count) in runs(caption, order + 1) {
                all[order] += count;
                right[order] += count.min(most.get(run).copied().unwrap_or(0));
            }
        }
    }
    let brevity = f64::min(1.0, (1.0 - wanted as f64 / length.max(1) as f64).exp());
    let mut sum = 0.0;
    std::array::from_fn(|order| {
        sum += (right[order] as f64 / all[order].max(1) as f64).ln();
        brevity * (sum / (order + 1) as f64).exp()
    })
}

/// Runs of so many words, and how often each is there.
fn runs(words: &[usize], length: usize) -> HashMap<&[usize], usize> {
    let mut runs = HashMap::new();
    for run in words.windows(length) {
        *runs.entry(run).or_default() += 1;
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<usize> {
        text.bytes().map(|letter| letter.into()).collect()
    }

    #[test]
    fn figures_are_those_of_nltk() {
        for (captions, references, expected) in NLTK {
            let captions: Vec<_> = captions.iter().map(|text| words(text)).collect();
            let references: Vec<Vec<_>> = references
                .iter()
                .map(|texts| texts.iter().map(|text| words(text)).collect())
                .collect();
            let found = bleu(&captions, &references);
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-12, "{found} for {expected}");
            }
        }
    }

    /// `corpus_bleu` of NLTK 3.10.4, a letter a word. (Of captions shorter than a run NLTK counts one run that is wrong,
    /// against the paper: there are none here.)
    #[allow(clippy::type_complexity)]
    const NLTK: [(&[&str], &[&[&str]], [f64; ORDER]); 4] = [
        (
            &["abcdefg", "aaaabcd", "hijkl"],
            &[
                &["abcdxfg", "bcdefgh"],
                &["aabcdef", "abcdabcd"],
                &["hijkm", "hijk", "hijklm"],
            ],
            [
                0.8947368421052632,
                0.8848133909712856,
                0.8717345027129011,
                0.8532193051114386,
            ],
        ),
        (
            &["abcd"],
            &[&["abcdefgh", "abcdefghij"]],
            [
                0.36787944117144233,
                0.36787944117144233,
                0.36787944117144233,
                0.36787944117144233,
            ],
        ),
        (
            &["abcabc"],
            &[&["abcab", "bcabcab"]],
            [1.0, 1.0, 0.9085602964160698, 0.9306048591020996],
        ),
        (
            &["abcde", "xyzw"],
            &[&["abcdf", "abcdeabcdeabcde"], &["yxzw"]],
            [
                1.0,
                0.8451542547285166,
                0.7539474411291538,
                0.7311104457090247,
            ],
        ),
    ];
}
