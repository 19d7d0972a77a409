/**
 * A form of an event's data, made from its JSON Schema. It validates nothing: the gateway does, whose schemas check more than
 * JSON Schema can express. (A validator in the page would also have to compile code, which the page may not.)
 */

import type { Issue } from '@lumiere/courier-client';
// Imported by file: the packages as a whole import a validator that is not installed.
import withTheme from '@rjsf/core/lib/withTheme.js';
import ArrayFieldItemTemplate from '@rjsf/mantine/lib/templates/ArrayFieldItemTemplate.js';
import ArrayFieldTemplate from '@rjsf/mantine/lib/templates/ArrayFieldTemplate.js';
import buttonTemplates from '@rjsf/mantine/lib/templates/ButtonTemplates/index.js';
import FieldTemplate from '@rjsf/mantine/lib/templates/FieldTemplate.js';
import type { RJSFSchema, UiSchema, ValidatorType } from '@rjsf/utils';
import { type ReactElement, useMemo } from 'react';
import type { JsonSchema } from '../../../../../src/contract/json-schema.ts';
import { type DataObject, elementsOf, isFreeForm } from './form-data.ts';
import { AddButton, Description, GroupErrors, ListTitle, ObjectFields } from './form-templates.tsx';
import { ChoiceField, FreeFormField, NumberField, TextField } from './form-widgets.tsx';
import { formErrors } from './issues.ts';
import classes from './publish.module.css';

const Form = withTheme({
  templates: {
    ArrayFieldItemTemplate,
    ArrayFieldTemplate,
    FieldTemplate,
    BaseInputTemplate: TextField,
    ObjectFieldTemplate: ObjectFields,
    ArrayFieldTitleTemplate: ListTitle,
    DescriptionFieldTemplate: Description,
    FieldErrorTemplate: GroupErrors,
    ButtonTemplates: { ...buttonTemplates(), AddButton },
  },
  widgets: { SelectWidget: ChoiceField },
});

const FINDS_NOTHING: ValidatorType = {
  validateFormData: () => ({ errors: [], errorSchema: {} }),
  isValid: () => true,
  rawValidation: () => ({}),
};

/** Fills in required groups only. */
const DEFAULTS = { emptyObjectFields: 'populateRequiredDefaults', arrayMinItems: { populate: 'never' } } as const;

interface DataFormProps {
  readonly schema: JsonSchema;
  readonly data: DataObject;
  readonly issues: readonly Issue[];
  /** @param path of the changed field: `data.metrics.trades`. */
  readonly onChange: (data: DataObject, path: string) => void;
}

export function DataForm({ schema, data, issues, onChange }: DataFormProps): ReactElement {
  const shown = useMemo(() => shownSchema(schema), [schema]);
  const uiSchema = useMemo(() => ({ ...uiSchemaOf(schema), 'ui:submitButtonOptions': { norender: true } }), [schema]);
  const errors = useMemo(() => formErrors(issues, schema), [issues, schema]);
  return (
    <Form
      tagName="div"
      className={classes['form'] ?? ''}
      idPrefix="data"
      idSeparator="."
      schema={shown as unknown as RJSFSchema}
      uiSchema={uiSchema}
      formData={data}
      extraErrors={errors}
      validator={FINDS_NOTHING}
      onChange={({ formData }, path = 'data') => onChange(formData as DataObject, path)}
      experimental_defaultFormStateBehavior={DEFAULTS}
      showErrorList={false}
      noHtml5Validate
    />
  );
}

/** The schema without what the form does not ask about: the alternatives and references in parts that have one field for all of it. */
function shownSchema(schema: JsonSchema): JsonSchema {
  const { title, description, type, properties } = schema;
  const elements = elementsOf(schema);
  if (isFreeForm(schema)) return { ...(title && { title }), ...(description && { description }), ...(type === 'object' && { type }) };
  if (elements !== undefined) return { ...schema, items: shownSchema(elements) };
  if (properties === undefined) return schema;
  return {
    ...schema,
    properties: Object.fromEntries(Object.entries(properties).map(([name, part]) => [name, shownSchema(part)])),
  };
}

/** The widget of each part of the data, where it differs from that of its type. */
function uiSchemaOf(schema: JsonSchema): UiSchema {
  if (isFreeForm(schema)) return { 'ui:field': FreeFormField };
  if (schema.enum !== undefined) return {};
  if (schema.type === 'number' || schema.type === 'integer') return { 'ui:widget': NumberField };
  if (schema.type === 'boolean') return { 'ui:widget': ChoiceField };
  const elements = elementsOf(schema);
  if (elements !== undefined) return { items: uiSchemaOf(elements) };
  return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, part]) => [name, uiSchemaOf(part)]));
}
