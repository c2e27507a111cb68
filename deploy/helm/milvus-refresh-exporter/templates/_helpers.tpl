{{- define "mre.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/*
At most 52 characters: a StatefulSet's pods have more to add. A Service's name begins with a letter and has no dots, so
a release named 2026 comes after the chart's name.
*/}}
{{- define "mre.fullname" -}}
{{- $name := .Release.Name -}}
{{- if .Values.fullnameOverride -}}
{{- $name = .Values.fullnameOverride -}}
{{- else if not (contains (include "mre.name" .) .Release.Name) -}}
{{- $name = printf "%s-%s" .Release.Name (include "mre.name" .) -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]" $name) -}}
{{- $name = printf "%s-%s" .Chart.Name .Release.Name -}}
{{- end -}}
{{- $name | replace "." "-" | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* Where the Service is asked. */}}
{{- define "mre.address" -}}
{{- printf "%s.%s.svc:%v" (include "mre.fullname" .) .Release.Namespace .Values.service.port -}}
{{- end -}}

{{/* A text as the replacement of a relabeling, where `$` begins the name of a group. */}}
{{- define "mre.literal" -}}
{{- replace "$" "$$" . -}}
{{- end -}}

{{- define "mre.selector" -}}
app.kubernetes.io/name: {{ include "mre.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "mre.labels" -}}
{{ include "mre.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{- end -}}

{{- define "mre.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "mre.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "mre.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "mre.kind" -}}
{{- ternary "StatefulSet" "Deployment" (or .Values.state.enabled (gt (int .Values.shards) 1)) -}}
{{- end -}}

{{- define "mre.replicas" -}}
{{- ternary .Values.shards .Values.replicaCount (gt (int .Values.shards) 1) -}}
{{- end -}}

{{/* The default's `milvus` has no place beside targets. */}}
{{- define "mre.config" -}}
{{- toYaml (ternary (omit .Values.config "milvus") .Values.config (not (empty .Values.config.targets))) -}}
{{- end -}}

{{- define "mre.probe" -}}
{{- if eq .scheme "TCP" -}}
tcpSocket:
  port: http-metrics
{{- else -}}
httpGet:
  path: {{ .path }}
  port: http-metrics
{{- if eq .scheme "HTTPS" }}
  scheme: HTTPS
{{- end }}
{{- end }}
{{- end -}}

{{/* Where the targets are asked for. */}}
{{- define "mre.sd" -}}
- url: {{ .url | quote }}
  refreshInterval: 1m
  {{- with .monitor.tlsConfig }}
  tlsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .monitor.basicAuth }}
  basicAuth:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* One endpoint of a ServiceMonitor or PodMonitor. */}}
{{- define "mre.endpoint" -}}
port: http-metrics
path: {{ dig "web" "telemetry_path" "/metrics" .Values.config | quote }}
{{- with .Values.serviceMonitor }}
{{- if ne .scheme "http" }}
scheme: {{ .scheme | quote }}
{{- end }}
interval: {{ .interval | quote }}
scrapeTimeout: {{ .scrapeTimeout | quote }}
{{- with .tlsConfig }}
tlsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .basicAuth }}
basicAuth:
  {{- toYaml . | nindent 2 }}
{{- end }}
relabelings:
  - targetLabel: job
    replacement: {{ include "mre.literal" .jobName | quote }}
  {{- with .milvus }}
  - targetLabel: milvus
    replacement: {{ include "mre.literal" . | quote }}
  {{- end }}
  {{- with .relabelings }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}
