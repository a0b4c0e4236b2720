{{/*
Names, labels and the values that more than one template needs.
*/}}

{{- define "pca.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Name of every object of the release: namespaced ones, and cluster-scoped ones that need no namespace in them. */}}
{{- define "pca.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "pca.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "pca.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What selects the agent's pods; it may never change, since a DaemonSet's selector is immutable. */}}
{{- define "pca.selectorLabels" -}}
app.kubernetes.io/name: {{ include "pca.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pca.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "pca.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "pca.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "pca.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* The user name that the API server gives the agent's token. */}}
{{- define "pca.userName" -}}
{{- printf "system:serviceaccount:%s:%s" .Release.Namespace (include "pca.serviceAccountName" .) }}
{{- end }}

{{/* Whether the agent speaks to the API server with its service account's token. */}}
{{- define "pca.usesToken" -}}
{{- if ne .Values.identity.mode "kubelet" }}true{{ end }}
{{- end }}
