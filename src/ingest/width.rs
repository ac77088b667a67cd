//! How much is asked of GraphQL at once: less where GitHub says that it was too much, more again where it was not.

/// How many things one query asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Width {
    now: usize,
    most: usize,
}

impl Width {
    /// The first query is one that GitHub has always answered.
    pub const FIRST: usize = 25;

    /// Up to `most` at once.
    pub const fn up_to(most: usize) -> Self {
        Self {
            now: if most < Self::FIRST { most } else { Self::FIRST },
            most,
        }
    }

    /// How many to ask for now.
    pub const fn get(self) -> usize {
        self.now
    }

    /// So many were answered. A full query may be wider the next time, by a quarter.
    pub fn answered(&mut self, asked: usize) {
        if asked >= self.now {
            self.now = (self.now + self.now.div_ceil(4)).min(self.most);
        }
    }

    /// It was too much. False: not even one is answered.
    pub const fn too_much(&mut self) -> bool {
        let was = self.now;
        self.now = if was > 1 { was / 2 } else { 1 };
        was > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_halves_when_it_is_too_much_and_grows_back_slowly() {
        let mut width = Width::up_to(100);
        assert_eq!(width.get(), 25);
        let mut down = Vec::new();
        while width.too_much() {
            down.push(width.get());
        }
        assert_eq!(down, [12, 6, 3, 1]);
        for _ in 0..40 {
            width.answered(width.get());
        }
        assert_eq!(width.get(), 100);
        width.answered(3);
        assert_eq!(
            width.get(),
            100,
            "a query that was not full says nothing of a wider one"
        );
    }
}
