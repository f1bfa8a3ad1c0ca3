-- The whole job in one statement: what the workers' sum must equal to the last digit.
SELECT
    activity.source,
    sum(activity.kwh)::bigint AS kwh,
    sum(activity.kwh * coalesce(own.grams_per_kwh, reference.grams_per_kwh)) AS grams
FROM activity
LEFT JOIN current_intensity AS own ON own.source = activity.source AND own.region = activity.region
LEFT JOIN current_intensity AS reference ON reference.source = %(reference)s AND reference.region = activity.region
WHERE activity.number < %(rows)s
GROUP BY activity.source
ORDER BY activity.source
