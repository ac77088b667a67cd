//! Fewer, longer inserts: what the folds return event by event becomes statements of many rows, for the runner.

use database::{Statement, Value};

/// An insert that still takes rows.
struct Open {
    into: &'static str,
    on_conflict: &'static str,
    rows: Vec<Vec<Value>>,
}

/// The same changes in fewer statements.
///
/// Inserts into one table keep their order, those into different tables do not hurt each other. Anything that is no
/// insert may touch any table, so it waits for all inserts before it. An upsert is left as it is: PostgreSQL refuses
/// one that meets a row twice, and only its fold knows that it does not.
pub fn coalesce(statements: Vec<Statement>) -> Vec<Statement> {
    let mut done = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    for statement in statements {
        let Statement::Insert {
            into,
            on_conflict,
            rows,
        } = statement
        else {
            done.extend(open.drain(..).map(close));
            done.push(statement);
            continue;
        };
        let same_table = open.iter().position(|other| table(other.into) == table(into));
        match same_table.and_then(|index| open.get_mut(index)) {
            Some(other) if other.into == into && other.on_conflict == on_conflict && !is_upsert(on_conflict) => {
                other.rows.extend(rows);
                continue;
            }
            _ => done.extend(same_table.map(|index| close(open.remove(index)))),
        }
        open.push(Open {
            into,
            on_conflict,
            rows,
        });
    }
    done.extend(open.into_iter().map(close));
    done
}

fn close(open: Open) -> Statement {
    Statement::Insert {
        into: open.into,
        on_conflict: open.on_conflict,
        rows: open.rows,
    }
}

/// The table of `leads (account, lead_id)`.
fn table(into: &str) -> &str {
    into.split([' ', '(']).next().unwrap_or(into)
}

fn is_upsert(on_conflict: &str) -> bool {
    on_conflict.contains("DO UPDATE")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(into: &'static str, on_conflict: &'static str, values: &[i64]) -> Statement {
        Statement::Insert {
            into,
            on_conflict,
            rows: values.iter().map(|value| vec![Value::Int(*value)]).collect(),
        }
    }

    fn update() -> Statement {
        Statement::sql("UPDATE a SET x = 0", Vec::new())
    }

    #[test]
    fn inserts_into_one_table_become_one_past_those_into_others() {
        let given = vec![
            insert("a (x)", "", &[1]),
            insert("b (x)", "", &[2, 3]),
            insert("a (x)", "", &[4]),
            insert("b (x)", "", &[5]),
        ];
        assert_eq!(
            coalesce(given),
            [insert("a (x)", "", &[1, 4]), insert("b (x)", "", &[2, 3, 5])]
        );
    }

    #[test]
    fn whatever_is_no_insert_stays_where_it_was_among_the_rows() {
        let given = vec![insert("a (x)", "", &[1]), update(), insert("a (x)", "", &[2])];
        assert_eq!(coalesce(given.clone()), given);
    }

    #[test]
    fn another_shape_of_insert_into_the_same_table_keeps_its_turn() {
        let given = vec![
            insert("a (x)", "", &[1]),
            insert("a(x)", "ON CONFLICT DO NOTHING", &[2]),
            insert("a (x)", "", &[3]),
        ];
        assert_eq!(coalesce(given.clone()), given);
    }

    #[test]
    fn upserts_are_never_put_together() {
        let upsert = |value| insert("a (x)", "ON CONFLICT (x) DO UPDATE SET x = excluded.x", &[value]);
        assert_eq!(coalesce(vec![upsert(1), upsert(1)]), [upsert(1), upsert(1)]);
    }
}
