{{/*
Fills files/rules.json in. `$(pending)` stands there for a number, times in seconds; `$(gap:duration)` for a time as
Prometheus writes it; `$(a+b)` for a sum; `$(jobs)`, `$(runbooks)` and `$(grafana)` for texts.
*/}}

{{- define "mre.seconds" -}}
{{- mul (regexFind "^[0-9]+" . | int64) (get (dict "s" 1 "m" 60 "h" 3600 "d" 86400) (regexFind "[smhd]$" .)) -}}
{{- end -}}

{{- define "mre.duration" -}}
{{- $seconds := int64 . -}}
{{- if eq (mod $seconds 86400) 0 -}}{{ div $seconds 86400 }}d
{{- else if eq (mod $seconds 3600) 0 -}}{{ div $seconds 3600 }}h
{{- else if eq (mod $seconds 60) 0 -}}{{ div $seconds 60 }}m
{{- else -}}{{ $seconds }}s
{{- end -}}
{{- end -}}

{{/* The job of the process and that of its targets, as a regular expression. */}}
{{- define "mre.jobs" -}}
{{- with .Values.prometheusRule.jobs -}}{{ . }}{{- else -}}{{ regexQuoteMeta .Values.serviceMonitor.jobName }}(-targets)?{{- end -}}
{{- end -}}

{{/* Each threshold as a number: what is set, else its default. */}}
{{- define "mre.thresholds" -}}
{{- $rules := .Files.Get "files/rules.json" | fromJson -}}
{{- $found := dict -}}
{{- range $name, $known := $rules.thresholds -}}
{{- $value := get $.Values.prometheusRule.thresholds $name -}}
{{- if or (kindIs "invalid" $value) (eq (toString $value) "") -}}{{- $value = $known.default -}}{{- end -}}
{{- if eq $known.kind "duration" -}}{{- $value = include "mre.seconds" $value -}}{{- end -}}
{{- if eq $known.kind "count" -}}{{- $value = int64 $value -}}{{- end -}}
{{- $_ := set $found $name (toString $value) -}}
{{- end -}}
{{- toRawJson $found -}}
{{- end -}}

{{- define "mre.groups" -}}
{{- $rules := .Files.Get "files/rules.json" | fromJson -}}
{{- $thresholds := include "mre.thresholds" . | fromJson -}}
{{- $prometheusRule := .Values.prometheusRule -}}
{{- $texts := dict
  "jobs" (include "mre.jobs" . | toRawJson | trimPrefix "\"" | trimSuffix "\"")
  "runbooks" (trimSuffix "/" $prometheusRule.runbooks)
  "grafana" (trimSuffix "/" $prometheusRule.grafana) -}}
{{- $text := toRawJson $rules.groups -}}
{{- range $token := $rules.tokens -}}
{{- $name := $token | trimPrefix "$(" | trimSuffix ")" | trimSuffix ":duration" -}}
{{- $value := "" -}}
{{- if hasKey $texts $name -}}
{{- $value = get $texts $name -}}
{{- else if contains "+" $name -}}
{{- $value = 0 -}}
{{- range splitList "+" $name -}}{{- $value = add $value (get $thresholds . | int64) -}}{{- end -}}
{{- else -}}
{{- $value = get $thresholds $name -}}
{{- end -}}
{{- if hasSuffix ":duration)" $token -}}{{- $value = include "mre.duration" $value -}}{{- end -}}
{{- $text = $text | replace $token (toString $value | toRawJson | trimPrefix "\"" | trimSuffix "\"") -}}
{{- end -}}
{{- $groups := list -}}
{{- range $group := $text | fromJsonArray -}}
{{- $kept := list -}}
{{- range $rule := $group.rules -}}
{{- if hasKey $rule "alert" -}}
{{- $own := get $prometheusRule.alerts $rule.alert | default dict -}}
{{- $severity := get $prometheusRule.severities $rule.labels.severity | default $rule.labels.severity -}}
{{- $labels := mergeOverwrite (dict) $prometheusRule.extraLabels ($own.labels | default dict) (dict "severity" ($own.severity | default $severity)) -}}
{{- $_ := set $rule "labels" $labels -}}
{{- $_ := set $rule "annotations" (mergeOverwrite (dict) $rule.annotations $prometheusRule.extraAnnotations ($own.annotations | default dict)) -}}
{{- with $own.for -}}{{- $_ := set $rule "for" . -}}{{- end -}}
{{- with $own.keepFiringFor -}}{{- $_ := set $rule "keep_firing_for" . -}}{{- end -}}
{{- if ne (toString $own.enabled) "false" -}}{{- $kept = append $kept $rule -}}{{- end -}}
{{- else -}}
{{- $kept = append $kept $rule -}}
{{- end -}}
{{- end -}}
{{- if $kept -}}{{- $groups = append $groups (set $group "rules" $kept) -}}{{- end -}}
{{- end -}}
{{- toYaml (dict "groups" $groups) -}}
{{- end -}}

{{/* What cannot be said in values.schema.json. */}}
{{- define "mre.refuseRules" -}}
{{- if .Values.prometheusRule.enabled -}}
{{- $rules := .Files.Get "files/rules.json" | fromJson -}}
{{- $thresholds := include "mre.thresholds" . | fromJson -}}
{{- range $name, $than := $rules.longer -}}
{{- if le (get $thresholds $name | int64) (get $thresholds $than | int64) -}}
{{- fail (printf "prometheusRule.thresholds.%s: must be longer than %s, or the value that is looked up comes and goes" $name $than) -}}
{{- end -}}
{{- end -}}
{{- range $name, $than := $rules.shorter -}}
{{- if ge (get $thresholds $name | int64) (include "mre.seconds" $than | int64) -}}
{{- fail (printf "prometheusRule.thresholds.%s: must be shorter than %s, which is how far Prometheus looks back" $name $than) -}}
{{- end -}}
{{- end -}}
{{- $interval := .Values.serviceMonitor.interval -}}
{{- if and (or .Values.serviceMonitor.enabled .Values.podMonitor.enabled) (regexMatch "^[0-9]+[smhd]$" $interval) -}}
{{- if lt (get $thresholds "gap" | int64) (mul 2 (include "mre.seconds" $interval | int64)) -}}
{{- fail "prometheusRule.thresholds.gap: must be at least twice serviceMonitor.interval, or one lost scrape begins every `for` anew" -}}
{{- end -}}
{{- end -}}
{{- range $alert, $threshold := $rules.instead -}}
{{- if eq (toString (dig $alert "enabled" true $.Values.prometheusRule.alerts)) "false" -}}
{{- fail (printf "prometheusRule.alerts.%s: other alerts are silent for what it tells, so nobody would tell it. Set thresholds.%s to 1000000 instead: then they do." $alert $threshold) -}}
{{- end -}}
{{- end -}}
{{- $given := keys .Values.prometheusRule.extraLabels -}}
{{- range .Values.prometheusRule.alerts -}}{{- $given = concat $given (keys (.labels | default dict)) -}}{{- end -}}
{{- range $label := $given -}}
{{- if has $label $rules.identity -}}
{{- fail (printf "prometheusRule: %s is a label that alerts have already, and what they are told apart by; severities have values of their own, and `cluster` belongs into the external labels of Prometheus or into serviceMonitor.relabelings" $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
