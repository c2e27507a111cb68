{{/*
Every template begins with this. A value set to null is gone before a template sees it; files/absent.json says what
that means: a section is switched off, a map or list is empty, a single value is its default.
*/}}
{{- define "mre.prepare" -}}
{{- range $key, $absent := .Files.Get "files/absent.json" | fromJson -}}
{{- if kindIs "invalid" (index $.Values $key) -}}
{{- $_ := set $.Values $key $absent.whole -}}
{{- else -}}
{{- range $part, $value := $absent.parts -}}
{{- if kindIs "invalid" (index (index $.Values $key) $part) -}}
{{- $_ := set (index $.Values $key) $part $value -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $key, $value := .Values.config -}}
{{- if kindIs "invalid" $value -}}{{- $_ := unset $.Values.config $key -}}{{- end -}}
{{- end -}}
{{- include "mre.refuse" . -}}
{{- include "mre.refuseKeys" . -}}
{{- include "mre.refuseRules" . -}}
{{- end -}}

{{/* What cannot be said in values.schema.json. */}}
{{- define "mre.refuse" -}}
{{- $targets := or .Values.probe.enabled .Values.scrapeConfig.enabled -}}
{{- if and (gt (int .Values.shards) 1) (gt (int .Values.replicaCount) 1) -}}
{{- fail "shards and replicaCount: only one of them can be more than 1. For two replicas of each shard install the chart twice." -}}
{{- end -}}
{{- if and (gt (int .Values.shards) 1) (not .Values.config.targets) -}}
{{- fail "shards: has no effect without config.targets" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled -}}
{{- fail "serviceMonitor and podMonitor: enable one of them, or everything is scraped twice" -}}
{{- end -}}
{{- if and $targets (not .Values.config.targets) -}}
{{- fail "probe and scrapeConfig: need config.targets; one Milvus is scraped with serviceMonitor or podMonitor" -}}
{{- end -}}
{{- if and .Values.probe.enabled .Values.scrapeConfig.enabled -}}
{{- fail "probe and scrapeConfig: enable one of them, or everything is scraped twice" -}}
{{- end -}}
{{- if and .Values.probe.enabled (gt (int .Values.shards) 1) -}}
{{- fail "probe: with shards each pod knows its own targets only, and the Service asks any of them; use scrapeConfig" -}}
{{- end -}}
{{- if and $targets (gt (int .Values.replicaCount) 1) -}}
{{- fail "probe and scrapeConfig: with replicaCount over 1 the Service answers each scrape from another replica, and counters jump between the two; install the chart twice, each with one replica" -}}
{{- end -}}
{{- range .Values.probe.targets -}}
{{- if not (hasKey ($.Values.config.targets | default dict) .) -}}
{{- fail (printf "probe.targets: %q is not in config.targets" .) -}}
{{- end -}}
{{- end -}}
{{- range .Values.serviceMonitor.relabelings -}}
{{- if eq (toString .targetLabel) "job" -}}
{{- fail "serviceMonitor.relabelings: the label job is serviceMonitor.jobName, which the rules look for" -}}
{{- end -}}
{{- end -}}
{{- if and (regexMatch "^[0-9]+[smhd]$" .Values.serviceMonitor.interval) (regexMatch "^[0-9]+[smhd]$" .Values.serviceMonitor.scrapeTimeout) -}}
{{- if gt (include "mre.seconds" .Values.serviceMonitor.scrapeTimeout | int64) (include "mre.seconds" .Values.serviceMonitor.interval | int64) -}}
{{- fail "serviceMonitor: scrapeTimeout is longer than interval, which Prometheus refuses" -}}
{{- end -}}
{{- end -}}
{{- if .Values.networkPolicy.enabled -}}
{{- $asked := list (dict "milvus" (.Values.config.milvus | default dict)) -}}
{{- if .Values.config.targets -}}{{- $asked = values .Values.config.targets -}}{{- end -}}
{{- range $asked -}}
{{- $port := regexFind ":[0-9]+/?$" (toString (dig "milvus" "uri" "" (. | default dict))) | trimPrefix ":" | trimSuffix "/" -}}
{{- if and $port (not (has $port (toStrings $.Values.networkPolicy.milvusPorts))) -}}
{{- fail (printf "networkPolicy.milvusPorts: lacks %s, the port of a Milvus in config: the exporter could not reach it" $port) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "mre.refuseKeys" -}}
{{- range $one, $other := dict "userKey" "passwordKey" "certKey" "keyKey" -}}
{{- if ne (empty (get $.Values.credentials $one)) (empty (get $.Values.credentials $other)) -}}
{{- fail (printf "credentials: %s and %s go together" $one $other) -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.probes.scheme "HTTPS") (not .Values.webConfig.existingSecret) (not .Values.extraEnv) -}}
{{- fail "probes.scheme: HTTPS needs a webConfig with TLS, or no probe ever succeeds" -}}
{{- end -}}
{{- end -}}
