"""The codes of what makes a policy unusable; the loader finds these, and nothing silences them."""

from __future__ import annotations

from aiops.policy.lint.rule import Explained

ERRORS: tuple[Explained, ...] = (
    Explained(code="no-such-file", why="a path names nothing", mend="the path of a file or folder"),
    Explained(code="no-policies", why="a folder without policies is rarely meant", mend="files end in .yaml or .yml"),
    Explained(
        code="unreadable", why="what cannot be read may be a policy", mend="permissions, and UTF-8 as the encoding"
    ),
    Explained(code="not-yaml", why="the text is no YAML", mend="the place says where reading stopped"),
    Explained(
        code="too-large",
        why="a file of more than 1 MB, 2,000 documents, 20,000 values in one or 40 levels is not read (S10)",
        mend="several files",
    ),
    Explained(
        code="unsupported-yaml",
        why="merge keys, tags of objects, keys that are no words, numbers of more than 40 characters",
        mend="plain mappings, lists and values",
    ),
    Explained(code="duplicate-key", why="of two values of one key one would be lost in silence", mend="one of them"),
    Explained(
        code="bad-envelope",
        why="a policy has apiVersion, kind, metadata and spec, as every object of Kubernetes",
        mend="apiVersion: policy.aiops/v1alpha1 and the rest",
    ),
    Explained(code="unknown-kind", why="no such kind of policy is known", mend="aiops policy schema lists the kinds"),
    Explained(code="bad-name", why="a name that Kubernetes refuses", mend="small letters, digits, - and ."),
    Explained(
        code="unknown-field", why="a misspelt field would be no field at all", mend="the hint names the nearest one"
    ),
    Explained(code="missing-field", why="there is no default that would be right for everybody", mend="write it"),
    Explained(code="not-one-of", why="a word that is not among those that are known", mend="one of the listed words"),
    Explained(code="bad-value", why="a value of the wrong kind, or out of range", mend="as the message says"),
    Explained(code="unknown-signal", why="a name that spec.signals does not have", mend="a name of spec.signals"),
    Explained(
        code="bad-promql",
        why="the query does not parse, answers no value at one instant, or reads the loop's own metrics (S1)",
        mend="try it in Prometheus first",
    ),
    Explained(
        code="not-scraped",
        why="a daemon that scrapes /metrics itself answers a part of PromQL, as Prometheus does, and no more than that",
        mend="what the message names, said with what docs/edge.md lists; or a Prometheus",
    ),
    Explained(
        code="bad-placeholder",
        why="a target's name and labels are somebody else's text: they become part of a label matcher's value (S10)",
        mend='{app="$(target.name)"}, $(target.namespace) or $(target.labels.KEY)',
    ),
    Explained(
        code="same-for-all",
        why="a selector's targets would all be scaled by one number, or a group's sites be judged by one answer",
        mend='a matcher that tells them apart: {app="$(target.name)"}, {site="$(site.name)"}',
    ),
    Explained(
        code="bad-cel",
        why="the condition does not parse, does not type-check, or is neither true nor false",
        mend="the message has line and column within the condition, and the nearest name",
    ),
    Explained(
        code="bad-schedule", why="no cron schedule, or no time zone of IANA", mend="minute hour day month weekday"
    ),
    Explained(
        code="slo-quantile",
        why="quantile: slo needs an error budget and a season to spend it over",
        mend="objective.slo below 100%, and forecast.season of 2h or more",
    ),
    Explained(
        code="foreign-namespace", why="a policy reaches only its own namespace (S3)", mend="a policy in that namespace"
    ),
    Explained(
        code="bad-candidate",
        why="a candidate runs beside another policy of its target, which stands for itself",
        mend="name that one",
    ),
    Explained(code="bad-calendar", why="no country, region or date that is known", mend="the hint names what is near"),
    Explained(code="not-a-default", why="a field that is each policy's own", mend="write it in the policy"),
    Explained(code="two-defaults", why="two PolicyDefaults of one scope", mend="one of them"),
    Explained(
        code="duplicate-name",
        why="two policies of one kind, namespace and name, or two sites, zones or vantage points of one name",
        mend="another name",
    ),
    Explained(
        code="two-actors", why="two policies on one target would undo each other (S4)", mend="one in mode: observe"
    ),
    Explained(code="unknown-site", why="a name that spec.sites does not have", mend="a name of spec.sites"),
    Explained(
        code="bad-rung",
        why="a rung that means nothing for what the policy is for: a rollback of a StatefulSet, a restart of a node",
        mend="one of those that the message names",
    ),
    Explained(
        code="bad-trigger",
        why="a condition of workloads in a policy over nodes: it would never be seen",
        mend="NodeNotReady, NodeCondition, an alert or a finding that names the node",
    ),
    Explained(
        code="no-undo",
        why="a Job or a webhook cannot be taken back, and in mode enforce nobody would be asked (S6)",
        mend="asks: true on the rung, or mode: approve",
    ),
    Explained(
        code="bad-quorum",
        why="fewer vantage points lie outside of a site than must agree: it could never be found failing (S8)",
        mend="at least two vantage points outside of every site",
    ),
    Explained(
        code="lever-inside",
        why="what steers traffic away from a site must not fail with it (S8)",
        mend="an object in a third cluster; where all sites are zones of one cluster, it may lie in that",
    ),
    Explained(
        code="bad-witness",
        why="a witness that is a site, or the cluster of sites, may fail with them (S8)",
        mend="a third cluster, or none",
    ),
    Explained(
        code="bad-lever", why="the lever cannot do what the policy asks", mend="lever: http-route can do all of it"
    ),
    Explained(
        code="bad-rpo",
        why="a lag and the most that it may be mean something together only",
        mend="replicationLag and rpo, or neither",
    ),
    Explained(
        code="bad-region", why="a site whose region is not said, or nowhere to go", mend="a region of allowedRegions"
    ),
    Explained(
        code="bad-steps", why="traffic goes over by rising shares until it is all there", mend="steps: [50, 100]"
    ),
    Explained(
        code="stateful-failback", why="what keeps data goes home when a person says so (S8)", mend="automatic: false"
    ),
    Explained(
        code="no-target",
        why="an action of a CostPolicy that does something to workloads names them",
        mend="target: ...",
    ),
    Explained(
        code="bad-target",
        why="the action is not for such a target: pack is for nodes, a DaemonSet cannot rest",
        mend="one of the kinds that the message names",
    ),
    Explained(
        code="scale-in",
        why="a StatefulSet is scaled in only where its owner says that this is safe (S3)",
        mend="scaleIn: allowed on the action",
    ),
    Explained(code="bad-bounds", why="the most is less than the least", mend="max at least min"),
    Explained(
        code="bad-times",
        why="two times that belong together do not fit: what is remembered is shorter than what is needed of it",
        mend="a longer history",
    ),
)
