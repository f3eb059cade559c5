{{/* The name of the release's objects, of its Lease, and of the daemon where it protects itself. */}}
{{- define "aiops.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What roles are named, apart from those of every other instance in the cluster: as `aiops rbac` names them. */}}
{{- define "aiops.instance" -}}
{{- $name := include "aiops.fullname" . -}}
{{- if and (eq .Release.Namespace "aiops") (eq $name "aiops") -}}
aiops
{{- else -}}
{{- printf "aiops:%s:%s" .Release.Namespace $name -}}
{{- end -}}
{{- end -}}

{{- define "aiops.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: daemon
{{- end -}}

{{- define "aiops.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: aiops
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "aiops.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "aiops.mode" -}}
{{- ternary "dry-run" .Values.mode .Values.dryRun -}}
{{- end -}}

{{/* Whether it writes what others could write, too: then it takes part in the election (see `competes` of the daemon). */}}
{{- define "aiops.competes" -}}
{{- $enabled := toString (dig "lease" "enabled" "auto" .Values.settings) -}}
{{- if eq $enabled "auto" -}}
{{- if or (not .Values.dryRun) .Values.customResources.enabled .Values.postgresql.existingSecret }}true{{ end -}}
{{- else if eq $enabled "true" }}true{{ end -}}
{{- end -}}

{{- define "aiops.policies" -}}
{{- if or .Values.policies .Values.existingPolicies }}true{{ end -}}
{{- end -}}

{{/* What belongs together, said in words: some of it a schema cannot say, and some people skip the schema. */}}
{{- define "aiops.check" -}}
{{- if and (gt (int .Values.replicaCount) 1) (not .Values.postgresql.existingSecret) -}}
{{- fail "replicaCount is more than 1: set postgresql.existingSecret, a SQLite file has one writer" -}}
{{- end -}}
{{- if and (not .Values.dryRun) (not .Values.persistence.enabled) (not .Values.postgresql.existingSecret) -}}
{{- fail "dryRun is false: what is done must be remembered; set persistence.enabled or postgresql.existingSecret" -}}
{{- end -}}
{{- if and (not .Values.dryRun) .Values.rbac.create .Values.rbac.roles (has .Values.rbac.mode (list "observe" "dry-run")) -}}
{{- fail (printf "dryRun is false, and rbac.roles were printed for mode %s: print them anew, `aiops --config FILE rbac --mode %s --values POLICIES`" .Values.rbac.mode .Values.mode) -}}
{{- end -}}
{{- if .Values.namespaced.enabled -}}
{{- range .Values.rbac.roles -}}
{{- if not .namespace -}}
{{- fail "namespaced.enabled: one of rbac.roles is for the whole cluster; print them with settings in which the cluster is namespaced" -}}
{{- end -}}
{{- if not (has .namespace $.Values.namespaced.namespaces) -}}
{{- fail (printf "namespaced.enabled: rbac.roles need namespace %s, which is not among namespaced.namespaces" .namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.policies .Values.existingPolicies -}}
{{- fail "policies and existingPolicies: set one or the other" -}}
{{- end -}}
{{- if and .Values.extraCA.configMap .Values.extraCA.secret -}}
{{- fail "extraCA.configMap and extraCA.secret: set one or the other" -}}
{{- end -}}
{{- end -}}

{{/* The settings of the daemon: what the values say of it, and then `settings`. */}}
{{- define "aiops.settings" -}}
{{- $local := dict "in_cluster" true -}}
{{- if .Values.namespaced.enabled }}{{ $_ := set $local "namespaced" true }}{{ end -}}
{{- $clusters := dict .Values.localCluster $local -}}
{{- range .Values.clusters -}}
{{- $one := dict "kubeconfig" (printf "/etc/aiops/clusters/%s/kubeconfig" .name) -}}
{{- if .context }}{{ $_ := set $one "context" .context }}{{ end -}}
{{- if hasKey . "qps" }}{{ $_ := set $one "qps" .qps }}{{ end -}}
{{- if hasKey . "burst" }}{{ $_ := set $one "burst" .burst }}{{ end -}}
{{- $_ := set $clusters .name $one -}}
{{- end -}}
{{- $prometheus := dict "url" .Values.prometheus.url -}}
{{- $made := dict
  "mode" (include "aiops.mode" .)
  "policies" (ternary (list "/etc/aiops/policies") (list) (eq (include "aiops.policies" .) "true"))
  "prometheus" $prometheus
  "clusters" $clusters
  "lease" (dict "replicas" (int .Values.replicaCount) "cluster" .Values.localCluster "namespace" .Release.Namespace "name" (include "aiops.fullname" .))
  "custom_resources" (dict "enabled" .Values.customResources.enabled "cluster" .Values.localCluster)
  "scope" (dict "protected_targets" (list (printf "%s/%s" .Release.Namespace (include "aiops.fullname" .))))
  "models" (dict "checkpoint" "/var/lib/aiops/models.npz")
  "telemetry" (dict "host" "0.0.0.0" "port" (int .Values.telemetry.port))
  "web" (dict "enabled" .Values.web.enabled)
  "log" (dict "format" "json")
-}}
{{- if .Values.web.enabled -}}
{{- $_ := set $made "web" (dict "enabled" true "host" "0.0.0.0" "port" (int .Values.web.port) "authentication" true) -}}
{{- end -}}
{{- if .Values.namespaced.enabled -}}
{{- $_ := set $made.custom_resources "namespaces" .Values.namespaced.namespaces -}}
{{- $_ := set $made.scope "namespaces" .Values.namespaced.namespaces -}}
{{- end -}}
{{- if not .Values.postgresql.existingSecret -}}
{{- $_ := set $made "store" (dict "url" "sqlite:////var/lib/aiops/aiops.db") -}}
{{- end -}}
{{- if or .Values.extraCA.configMap .Values.extraCA.secret -}}
{{- $_ := set $prometheus "ca_file" "/etc/aiops/ca/ca.crt" -}}
{{- if dig "alertmanager" "urls" list .Values.settings -}}
{{- $_ := set $made "alertmanager" (dict "ca_file" "/etc/aiops/ca/ca.crt") -}}
{{- end -}}
{{- end -}}
{{- $own := .Values.settings -}}
{{- if dig "scope" "protected_targets" list $own -}}
{{- $both := concat $made.scope.protected_targets $own.scope.protected_targets | uniq -}}
{{- $own = mustMergeOverwrite (deepCopy $own) (dict "scope" (dict "protected_targets" $both)) -}}
{{- end -}}
{{- toYaml (mustMergeOverwrite $made $own) -}}
{{- end -}}

{{/* What a pod of the daemon, or of its uninstall, has: who it is, what it may, what it sees. */}}
{{- define "aiops.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "aiops.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "aiops.env" -}}
- {name: AIOPS_CONFIG, value: /etc/aiops/aiops.yaml}
{{- if .Values.postgresql.existingSecret }}
- name: AIOPS_STORE__URL
  valueFrom: {secretKeyRef: {name: {{ .Values.postgresql.existingSecret | quote }}, key: {{ .Values.postgresql.key | quote }}}}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "aiops.mounts" -}}
- {name: settings, mountPath: /etc/aiops/aiops.yaml, subPath: aiops.yaml, readOnly: true}
{{- if include "aiops.policies" . }}
- {name: policies, mountPath: /etc/aiops/policies, readOnly: true}
{{- end }}
- {name: data, mountPath: /var/lib/aiops}
- {name: tmp, mountPath: /tmp}
{{- range .Values.clusters }}
- {name: {{ printf "cluster-%s" .name }}, mountPath: {{ printf "/etc/aiops/clusters/%s" .name }}, readOnly: true}
{{- end }}
{{- if or .Values.extraCA.configMap .Values.extraCA.secret }}
- {name: ca, mountPath: /etc/aiops/ca, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "aiops.volumes" -}}
- name: settings
  configMap: {name: {{ include "aiops.fullname" . }}}
{{- if include "aiops.policies" . }}
- name: policies
  configMap: {name: {{ default (printf "%s-policies" (include "aiops.fullname" .)) .Values.existingPolicies }}}
{{- end }}
- name: data
{{- if and .Values.persistence.enabled (not .Values.postgresql.existingSecret) }}
  persistentVolumeClaim: {claimName: {{ default (include "aiops.fullname" .) .Values.persistence.existingClaim }}}
{{- else }}
  emptyDir: {sizeLimit: {{ .Values.persistence.size }}}
{{- end }}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- range .Values.clusters }}
- name: {{ printf "cluster-%s" .name }}
  secret:
    secretName: {{ .secret }}
    items: [{key: {{ default "kubeconfig" .key }}, path: kubeconfig}]
{{- end }}
{{- with .Values.extraCA }}
{{- if .configMap }}
- name: ca
  configMap: {name: {{ .configMap }}, items: [{key: {{ .key | quote }}, path: ca.crt}]}
{{- else if .secret }}
- name: ca
  secret: {secretName: {{ .secret }}, items: [{key: {{ .key | quote }}, path: ca.crt}]}
{{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
