//! Which clips are for the final figure only.

use super::Clips;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Whether each clip is of the test part: of every class whole groups, drawn by the seed, about that share of
/// its clips; of a class of one group none.
pub fn test_part(clips: &Clips, share: f64, seed: u64) -> Vec<bool> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut is_test = vec![false; clips.groups.len()];
    for class in 0..clips.labels.len() {
        let own = clips.clips.iter().filter(|clip| clip.class == class);
        let of_clips: Vec<usize> = own.map(|clip| clip.group).collect();
        let mut groups = of_clips.clone();
        groups.dedup();
        groups.shuffle(&mut rng);
        let wanted = share * of_clips.len() as f64;
        let mut taken = 0;
        // The last group stays to learn from.
        for &group in groups.iter().skip(1) {
            let more = of_clips.iter().filter(|&&of| of == group).count();
            // Only what brings the part nearer to its share.
            if taken as f64 + more as f64 / 2.0 <= wanted {
                is_test[group] = true;
                taken += more;
            }
        }
    }
    let of_clip = |clip: &super::Clip| is_test[clip.group];
    clips.clips.iter().map(of_clip).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::video::Clip;

    /// Two classes: 25 groups of four clips, and one of ten.
    #[test]
    fn groups_stay_whole_and_every_class_gives_its_share() {
        let mut clips = Vec::new();
        for at in 0..110 {
            let group = (at / 4).min(25);
            clips.push(Clip {
                path: format!("{at}").into(),
                class: usize::from(at >= 100),
                group,
            });
        }
        let clips = Clips {
            labels: vec!["a".into(), "b".into()],
            clips,
            groups: (0..26).map(|group| group.to_string()).collect(),
            is_grouped: true,
        };
        for seed in 0..5 {
            let test = test_part(&clips, 0.2, seed);
            let count = test[..100].iter().filter(|&&is| is).count();
            assert_eq!(count, 20);
            for of_group in test[..100].chunks(4) {
                assert!(of_group.iter().all(|&is| is == of_group[0]));
            }
            assert!(test[100..].iter().all(|&is| !is));
        }
        assert_ne!(test_part(&clips, 0.2, 0), test_part(&clips, 0.2, 1));
        assert!(test_part(&clips, 0.0, 0).iter().all(|&is| !is));
    }
}
