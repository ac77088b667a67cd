-- fold 1
CREATE TABLE monthly_usage (
    account  BLOB   NOT NULL,
    month    TEXT   NOT NULL,
    captured BIGINT NOT NULL,
    withheld BIGINT NOT NULL,
    PRIMARY KEY (account, month)
);
