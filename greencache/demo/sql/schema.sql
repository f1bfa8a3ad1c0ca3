CREATE TABLE factor (
    source   text    NOT NULL,
    category text    NOT NULL,
    item     text    NOT NULL,
    region   text    NOT NULL,
    year     text    NOT NULL,  -- as published: '', '2022', '1973-1974', '≤1980'
    metric   text    NOT NULL,
    unit     text    NOT NULL,
    ordinal  integer NOT NULL,  -- figures that agree in all of the above are counted
    value    numeric NOT NULL,
    PRIMARY KEY (source, category, item, region, year, metric, unit, ordinal)
);

CREATE INDEX factor_grid ON factor (source, region) WHERE category = 'grid_electricity';

CREATE TABLE activity (
    number integer PRIMARY KEY,
    region text    NOT NULL,
    fuel   text    NOT NULL,
    source text    NOT NULL,
    kwh    bigint  NOT NULL
);

-- What a grid's unit is in grams per kilowatt hour. A pound is 453.59237 g by definition.
CREATE TABLE grid_unit (unit text PRIMARY KEY, grams_per_kwh numeric NOT NULL);

INSERT INTO grid_unit VALUES
    ('gCO2/kWh', 1), ('gCO2e/kWh', 1), ('gCO2eq/kWh', 1),
    ('kgCO2e/MWh', 1), ('kgCO2e/kWh', 1000), ('lbCO2e/MWh', 0.45359237);

-- The truth: each source's latest intensity of each grid, computed whenever somebody asks.
CREATE VIEW current_intensity AS
SELECT DISTINCT ON (source, region)
    source, region, factor.value * grid_unit.grams_per_kwh AS grams_per_kwh
FROM factor
JOIN grid_unit USING (unit)
WHERE category = 'grid_electricity' AND metric IN ('carbon_intensity', 'gwp')
ORDER BY source, region, year DESC, ordinal DESC;
